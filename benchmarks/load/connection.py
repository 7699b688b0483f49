"""A keep-alive HTTP/1.1 connection over plain sockets: the least work for the load generator's processor."""

import asyncio
import re
import zlib

LENGTH = re.compile(rb"(?i)content-length: (\d+)")
# An answer that takes longer counts as a lost connection.
ANSWER_TIMEOUT_S = 120.0


class Connection:
    """One keep-alive connection, opened again when it was lost."""

    def __init__(self, host: str, port: int, headers: dict[str, str]):
        self.host, self.port = host, port
        self.headers = headers
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes, bytes]:
        """(status, head, body). Raises OSError or EOFError when the connection breaks."""
        is_kept = self.writer is not None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                try:
                    return await self._request(method, path, body, content_type)
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    # A server may close an idle connection at any time; a browser asks again on a new one, at once.
                    if not is_kept or getattr(error, "partial", b""):
                        raise
                    self.close()
                    return await self._request(method, path, body, content_type)
        except BaseException:
            self.close()
            raise

    async def _request(
        self, method: str, path: str, body: bytes, content_type: str
    ) -> tuple[int, bytes, bytes]:
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=2**22)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Accept-Encoding: gzip"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if method == "POST":
            lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        content = await self._read_body(self.reader, head, status)
        lowered = head.lower()
        if b"content-encoding: gzip" in lowered:
            content = zlib.decompress(content, wbits=31)
        if b"connection: close" in lowered:
            self.close()
        return status, head, content

    @staticmethod
    async def _read_body(reader: asyncio.StreamReader, head: bytes, status: int) -> bytes:
        if length := LENGTH.search(head):
            return await reader.readexactly(int(length.group(1)))
        if status in (204, 304):
            return b""
        if b"chunked" not in head.lower():
            return await reader.read()
        parts = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None
