import re

import pytest

from marketdata.store.secrets import PATTERN, Secret, hash_secret


def test_a_secret_is_recognised_by_its_form_and_checksum() -> None:
    secret = Secret.make()
    assert re.fullmatch(PATTERN, secret.text)
    assert Secret.parse(secret.text) == secret
    assert len({Secret.make().text for _ in range(100)}) == 100


@pytest.mark.parametrize("at", [0, 5, 12, 13, 40, -1])
def test_a_changed_character_is_seen(at: int) -> None:
    characters = list(Secret.make().text)
    characters[at] = "a" if characters[at] != "a" else "b"
    assert Secret.parse("".join(characters)) is None


@pytest.mark.parametrize("text", ["", "x", "é", "mds_", "mds_" + "a" * 58, "mds_aaaaaaaa_" + "a" * 49, " " * 62])
def test_what_is_no_secret(text: str) -> None:
    assert Secret.parse(text) is None


def test_a_secret_of_before_is_known_by_its_hash() -> None:
    text = "mds_" + "Aa0-_" * 8 + "xyz"
    secret = Secret.parse(text)
    assert secret == Secret(hash_secret(text).hex()[:8], text)


def test_the_secret_is_not_shown() -> None:
    secret = Secret.make()
    assert secret.text not in repr(secret)
