"""How a line of the log looks, of the site, its web server, commands and workers alike; without tokens."""

import logging
import re

# An invitation's token opens the project to who has it; it stands in paths, and in addresses to go on to.
_TOKEN = re.compile(r"(invitations(?:/|%2F|%252F))[\w-]{8,}", re.IGNORECASE)


def without_tokens(text: str) -> str:
    return _TOKEN.sub(r"\1[token]", text)


class LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # After the traceback was added: that quotes addresses, too.
        return without_tokens(super().format(record))
