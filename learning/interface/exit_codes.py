"""How a training command exits. Launchers may swallow the code: status.json is the truth."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USER_ERROR = 2
EXIT_STALE_FENCE = 3  # overtaken by another attempt
EXIT_BUSY = 4  # to a worker: a living process works in the run directory, and nothing was tried
EXIT_CHECKPOINTED = 75  # EX_TEMPFAIL of sysexits.h: start again to go on
EXIT_CODES = (EXIT_DONE, EXIT_FAILED, EXIT_USER_ERROR, EXIT_STALE_FENCE, EXIT_BUSY, EXIT_CHECKPOINTED)
