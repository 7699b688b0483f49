"""How a worker times itself: from the settings, or as a test wants it."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How a worker times itself, in seconds; settings.py says what each is for."""

    lease_seconds: float
    heartbeat_seconds: float
    stop_grace_seconds: float
    min_free_disk_bytes: int
    poll_seconds: float  # of an idle worker; a running command is looked at five times as often
    tick_seconds: float
    retry_base_seconds: float  # 10, 20, 40 ... up to retry_max_seconds
    retry_max_seconds: float

    def __post_init__(self) -> None:
        if not 0 < 3 * self.heartbeat_seconds <= self.lease_seconds:
            raise ValueError(
                f"heartbeat_seconds ({self.heartbeat_seconds}) must be at most a third of lease_seconds "
                f"({self.lease_seconds}): one late renewal must not lose a run"
            )

    @classmethod
    def from_settings(cls) -> "WorkerOptions":
        return cls(
            lease_seconds=settings.RUN_LEASE_SECONDS,
            heartbeat_seconds=settings.RUN_HEARTBEAT_SECONDS,
            stop_grace_seconds=settings.RUN_STOP_GRACE_SECONDS,
            min_free_disk_bytes=settings.RUN_MIN_FREE_DISK_MB * 1_000_000,
            poll_seconds=settings.RUN_POLL_SECONDS,
            tick_seconds=settings.RUN_TICK_SECONDS,
            retry_base_seconds=settings.RUN_RETRY_BASE_SECONDS,
            retry_max_seconds=settings.RUN_RETRY_MAX_SECONDS,
        )
