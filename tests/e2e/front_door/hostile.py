"""Tokens that nobody may come in with, in seven groups."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.front_door.forge import GROUP_ORDER, Forge, b64, compact


@dataclass(frozen=True)
class Hostile:
    """A token, and what is to be said of it."""

    group: str
    name: str
    token: bytes
    code: str = "invalid-token"
    is_http: bool = True
    """False: the server refuses such a header itself, before the application sees it."""


def corpus(forge: Forge, elsewhere: str) -> list[Hostile]:
    """All of them; `elsewhere`: the address of a server that must never be asked for a key."""
    return [
        *_algorithm(forge),
        *_keys(forge, elsewhere),
        *_signature(forge),
        *_time(forge),
        *_claims(forge),
        *_type(forge),
        *_shape(forge),
    ]


def _algorithm(forge: Forge) -> Iterator[Hostile]:
    signature = forge.good().rpartition(b".")[2]
    for spelling in ("none", "None", "NONE", "nOnE", "noNe"):
        unsigned = compact(b64(forge.head(alg=spelling)), b64(forge.body()))
        yield Hostile("algorithm", f"{spelling}, no signature", compact(unsigned, b""))
        yield Hostile("algorithm", f"{spelling}, a signature of another", compact(unsigned, signature))
    yield Hostile("algorithm", "missing", forge.headed("alg"))
    yield Hostile("algorithm", "null", forge.headed(alg=None))
    yield Hostile("algorithm", "a list", forge.headed(alg=["EdDSA"]))
    yield Hostile("algorithm", "in lower case", forge.headed(alg="eddsa"))
    yield Hostile("algorithm", "by its newer name", forge.headed(alg="Ed25519"))
    yield Hostile("algorithm", "of another curve", forge.headed(alg="Ed448"))
    pem = forge.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    keys = {
        "PEM": pem,
        "PEM without its last newline": pem.rstrip(b"\n"),
        "DER": forge.public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "SSH": forge.public(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "raw bytes": forge.public(Encoding.Raw, PublicFormat.Raw),
        "JWK": json.dumps(forge.jwk(forge.private)).encode(),
    }
    for name, key in keys.items():
        yield Hostile("algorithm", f"HS256 keyed with our public key as {name}", forge.keyed("HS256", key))
    yield Hostile("algorithm", "HS512 keyed with our public key", forge.keyed("HS512", pem))
    yield Hostile("algorithm", "HS256 with an empty key", forge.keyed("HS256", b""))
    yield Hostile("algorithm", "HS256 with a usual key", forge.keyed("HS256", b"secret"))
    signed = compact(b64(forge.head(alg="RS256")), b64(forge.body()))
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yield Hostile("algorithm", "RS256", compact(signed, b64(foreign.sign(signed, padding.PKCS1v15(), SHA256()))))
    signed = compact(b64(forge.head(alg="ES256")), b64(forge.body()))
    yield Hostile("algorithm", "ES256 of zeros", compact(signed, b64(bytes(64))))
    yield Hostile("algorithm", "a foreign key", forge.sign(forge.head(), forge.body(), Ed25519PrivateKey.generate()))


def _keys(forge: Forge, elsewhere: str) -> Iterator[Hostile]:
    own = Ed25519PrivateKey.generate()
    jwk, body = forge.jwk(own), forge.body()
    yield Hostile("keys", "jwk with our kid", forge.sign(forge.head(jwk=jwk), body, own))
    yield Hostile("keys", "jwk without kid", forge.sign(forge.head("kid", jwk=jwk), body, own))
    yield Hostile("keys", "jku", forge.sign(forge.head(jku=f"{elsewhere}/jwks.json"), body, own))
    yield Hostile("keys", "x5u", forge.sign(forge.head(x5u=f"{elsewhere}/x5u.pem"), body, own))
    yield Hostile("keys", "x5c", forge.sign(forge.head(x5c=["MIIB"]), body, own))
    yield Hostile("keys", "signed rightly, and jku", forge.headed(jku=f"{elsewhere}/jwks.json"))
    yield Hostile("keys", "signed rightly, and our jwk", forge.headed(jwk=forge.jwk(forge.private)))
    yield Hostile("keys", "signed rightly, and x5t", forge.headed(x5t="AAAA"))
    kids = {
        "unknown": "nobody",
        "a path": "../../../../dev/null",
        "SQL": "' UNION SELECT 'secret' --",
        "a shell's": "$(touch x)|sleep 9",
        "with CRLF": "a\r\nX-Injected: yes",
        "an object": {"kid": forge.kid},
        "a list": [forge.kid],
        "empty": "",
        "null": None,
    }
    for name, kid in kids.items():
        yield Hostile("keys", f"kid {name}", forge.headed(kid=kid))
    yield Hostile("keys", "kid of 100 kB", forge.headed(kid="k" * 100_000), is_http=False)
    yield Hostile("keys", "kid missing", forge.headed("kid"))


def _signature(forge: Forge) -> Iterator[Hostile]:
    head, body, encoded = forge.good().split(b".")
    raw = forge.private.sign(compact(head, body))
    scalar = int.from_bytes(raw[32:], "little") + GROUP_ORDER
    tampered = b64(forge.body(scope="metadata:read candles:read admin more"))
    flipped = bytes([raw[0] ^ 1]) + raw[1:]
    other = forge.good(jti=f"{forge.secret_id}-another").rpartition(b".")[2]
    for name, token in {
        "stripped": compact(head, body, b""),
        "two segments": compact(head, body),
        "four segments": compact(head, body, encoded, encoded),
        "a bit flipped": compact(head, body, b64(flipped)),
        "cut": compact(head, body, b64(raw[:-1])),
        "one byte more": compact(head, body, b64(raw + b"\0")),
        "zeros": compact(head, body, b64(bytes(64))),
        "of another token": compact(head, body, other),
        "scope changed": compact(head, tampered, encoded),
        "malleable": compact(head, body, b64(raw[:32] + scalar.to_bytes(32, "little"))),
    }.items():
        yield Hostile("signature", name, token)


def _time(forge: Forge) -> Iterator[Hostile]:
    now = forge.now_s
    past = {"iat": now - 4500, "nbf": now - 4500}
    yield Hostile("time", "expired for an hour", forge.good(**past, exp=now - 3600), "expired-token")
    yield Hostile("time", "expired a second too long", forge.good(**past, exp=now - 31), "expired-token")
    yield Hostile("time", "expired to the second", forge.good(**past, exp=now - 30), "expired-token")
    foreign = forge.sign(forge.head(), forge.body(**past, exp=now - 3600), Ed25519PrivateKey.generate())
    yield Hostile("time", "expired, by a foreign key", foreign)
    yield Hostile("time", "expired, for others", forge.good(**past, exp=now - 3600, aud="others"))
    yield Hostile("time", "expired, of another type", forge.sign(forge.head(typ="JWT"), forge.body(exp=now - 3600)))
    yield Hostile("time", "exp missing", forge.sign(forge.head(), forge.body("exp")))
    for name, exp in {
        "null": None,
        "a text": str(now + 900),
        "never": "never",
        "true": True,
        "milliseconds": (now + 900) * 1000,
        "a list": [now + 900],
        "a fraction": now + 899.5,
        "a float": float(now + 900),
        "negative": -1,
        "before iat": now - 1,
    }.items():
        yield Hostile("time", f"exp {name}", forge.good(exp=exp))
    for name, written in (("1e400", b"1e400"), ("NaN", b"NaN"), ("Infinity", b"Infinity"), ("1e9", b"2e9")):
        body = re.sub(rb'"exp": \d+', b'"exp": ' + written, forge.body())
        yield Hostile("time", f"exp {name}", forge.sign(forge.head(), body))
    yield Hostile("time", "nbf in the future", forge.good(nbf=now + 31))
    yield Hostile("time", "nbf missing", forge.sign(forge.head(), forge.body("nbf")))
    yield Hostile("time", "iat in the future", forge.good(iat=now + 31))
    yield Hostile("time", "iat missing", forge.sign(forge.head(), forge.body("iat")))
    yield Hostile("time", "ten years", forge.good(exp=now + 10 * 365 * 86_400))


def _claims(forge: Forge) -> Iterator[Hostile]:
    changed: dict[str, dict[str, object]] = {
        "aud wrong": {"aud": "others"},
        "aud a list": {"aud": ["marketdata-api"]},
        "aud empty": {"aud": ""},
        "aud a part": {"aud": "marketdata"},
        "aud and more": {"aud": "marketdata-api.example.org"},
        "iss wrong": {"iss": "https://example.org"},
        "iss a list": {"iss": ["marketdata"]},
        "iss and more": {"iss": "marketdata2"},
        "iss in capitals": {"iss": "MarketData"},
        "sub empty": {"sub": "", "client_id": ""},
        "sub a number": {"sub": 1},
        "sub an object": {"sub": {"id": forge.client_id}},
        "sub of another": {"sub": "mdc_0000000000000000"},
        "client_id of another": {"client_id": "mdc_0000000000000000"},
        "jti a number": {"jti": 1},
        "jti empty": {"jti": ""},
        "jti of no secret": {"jti": "00000000-1"},
        "jti of a part of a secret": {"jti": f"{forge.secret_id[:-1]}-1"},
        "scope a list": {"scope": ["metadata:read", "candles:read", "admin"]},
        "scope an object": {"scope": {"metadata:read": True}},
        "scope null": {"scope": None},
    }
    for name, claims in changed.items():
        yield Hostile("claims", name, forge.good(**claims))
    for name in ("aud", "iss", "sub", "jti", "client_id", "scope"):
        yield Hostile("claims", f"{name} missing", forge.sign(forge.head(), forge.body(name)))
    twice = forge.body()[:-1] + b', "sub": "%b"}' % forge.client_id.encode()
    yield Hostile("claims", "sub twice", forge.sign(forge.head(), twice))


def _type(forge: Forge) -> Iterator[Hostile]:
    changed: dict[str, dict[str, object]] = {
        "a refresh token": {"typ": "rt+jwt"},
        "an identity token": {"typ": "JWT"},
        "its long name": {"typ": "application/at+jwt"},
        "in capitals": {"typ": "AT+JWT"},
        "nested": {"cty": "JWT"},
        "crit unknown": {"crit": ["policy"], "policy": 1},
        "crit exp": {"crit": ["exp"], "exp": forge.now_s + 900},
        "crit empty": {"crit": []},
        "b64 false": {"b64": False, "crit": ["b64"]},
        "zip": {"zip": "DEF"},
    }
    for name, header in changed.items():
        yield Hostile("type", name, forge.headed(**header))
    yield Hostile("type", "missing", forge.headed("typ"))
    for name, body in {
        "payload a list": b"[]",
        "payload a text": b'"sub"',
        "payload no JSON": b"sub",
        "payload empty": b"",
        "payload bad UTF-8": forge.body(jti="X").replace(b"X", b"\xff"),
        "payload with a mark": b"\xef\xbb\xbf" + forge.body(),
        "payload with NaN": forge.body()[:-1] + b', "more": NaN}',
        "payload in UTF-16": forge.body().decode().encode("utf-16"),
    }.items():
        yield Hostile("type", name, forge.sign(forge.head(), body))
    yield Hostile("type", "alg twice", forge.sign(forge.head()[:-1] + b', "alg": "EdDSA"}', forge.body()))
    yield Hostile("type", "header a list", forge.sign(b"[" + forge.head() + b"]", forge.body()))
    yield Hostile("type", "JWE", compact(b64(b'{"alg":"dir","enc":"A256GCM"}'), b"", b"AAAA", b"AAAA", b"AAAA"))
    parts = zip(("protected", "payload", "signature"), forge.good().decode().split("."), strict=True)
    yield Hostile("type", "JSON serialisation", json.dumps(dict(parts)).encode())


def _shape(forge: Forge) -> Iterator[Hostile]:
    good = forge.good()
    head, body, signature = good.split(b".")
    yield Hostile("shape", "empty", b"")
    yield Hostile("shape", "dots", b"..")
    yield Hostile("shape", "1 MB", b"A" * 1_000_000, is_http=False)
    for depth in (100_000, 20_000, 500):
        deep = forge.sign(forge.head(), b"[" * depth + b"]" * depth)
        yield Hostile("shape", f"nested {depth} deep", deep, is_http=depth < 1000)
    digits = re.sub(rb'"exp": \d+', b'"exp": ' + b"9" * 10_000, forge.body())
    yield Hostile("shape", "exp of 10,000 digits", forge.sign(forge.head(), digits), is_http=False)
    yield Hostile("shape", "over the size", forge.good(more="x" * 4096))
    yield Hostile("shape", "not ASCII", good + "é".encode())
    yield Hostile("shape", "a space before", b" " + good)
    yield Hostile("shape", "a space within", head + b" ." + body + b"." + signature)
    yield Hostile("shape", "a line end", head + b".\n" + body + b"." + signature, is_http=False)
    yield Hostile("shape", "NUL", good + b"\0", is_http=False)
    yield Hostile("shape", "padding", compact(head + b"=" * (-len(head) % 4 or 4), body, signature))
    yield Hostile("shape", "padding at the end", good + b"==")
    number = 0
    while b"-" not in good + b"_" or b"_" not in good:
        number += 1
        good = forge.good(jti=f"{forge.secret_id}-{number}")
    yield Hostile("shape", "standard base64", good.replace(b"-", b"+").replace(b"_", b"/"))
    yield Hostile("shape", "junk within", compact(head, body[:40] + b"*" + body[40:], signature))
    last = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = last[last.index(signature[-1:]) ^ 1]
    yield Hostile("shape", "unused bits set", compact(head, body, signature[:-1] + bytes([other])))
    yield Hostile("shape", "twice", good + b" " + good)
    yield Hostile("shape", "another beside it", good + b", Bearer " + good)
