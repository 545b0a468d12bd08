"""Faults of the connection: they play their answer byte by byte, below HTTP."""

import zlib

from marketdata.simulator.fault_scene import Scene
from marketdata.simulator.wire import Wire, head

_BLANKS = b" " * (1 << 20)
_GZIP_HEAD = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))
_NOT_HTTP = bytes(range(256)) * 4


async def refuse(_: Scene, wire: Wire) -> None:
    """Reset before a byte."""
    wire.reset()


async def close(_: Scene, wire: Wire) -> None:
    """End before a byte."""
    await wire.close()


async def reset(scene: Scene, wire: Wire) -> None:
    """Reset amid the body."""
    await _begin(scene, wire)
    wire.reset()


async def truncate(scene: Scene, wire: Wire) -> None:
    """End amid the body."""
    await _begin(scene, wire)


async def truncate_chunked(scene: Scene, wire: Wire) -> None:
    """End without the last chunk."""
    part = scene.answer.body[: scene.cut]
    await wire.head(scene.answer.status, [*scene.answer.headers.items(), ("Transfer-Encoding", "chunked")])
    if part:
        await wire.write(b"%x\r\n" % len(part))
        await wire.body(part)
        await wire.write(b"\r\n")


async def overlong(scene: Scene, wire: Wire) -> None:
    """More than was announced."""
    await wire.head(scene.answer.status, _headers(scene, scene.cut))
    await wire.body(scene.answer.body)


async def silence(_: Scene, wire: Wire) -> None:
    """Nothing."""
    await wire.wait()


async def stall(scene: Scene, wire: Wire) -> None:
    """Only the head."""
    await wire.head(scene.answer.status, _headers(scene, len(scene.answer.body)))
    await wire.wait()


async def slow(scene: Scene, wire: Wire) -> None:
    """A late answer."""
    await wire.wait(scene.fault.seconds)
    await wire.head(scene.answer.status, _headers(scene, len(scene.answer.body)))
    await wire.body(scene.answer.body)


async def drip(scene: Scene, wire: Wire) -> None:
    """One byte at a time."""
    wire.status = scene.answer.status
    for byte in head(scene.answer.status, _headers(scene, len(scene.answer.body))):
        await wire.write(bytes((byte,)))
        await wire.wait(scene.fault.seconds)
    for byte in scene.answer.body:
        await wire.body(bytes((byte,)))
        await wire.wait(scene.fault.seconds)


async def garbage(_: Scene, wire: Wire) -> None:
    """Bytes that are not HTTP."""
    await wire.body(_NOT_HTTP)


async def http_09(scene: Scene, wire: Wire) -> None:
    """The body, and nothing else."""
    await wire.body(scene.answer.body)


async def huge(scene: Scene, wire: Wire) -> None:
    """The right answer, and blanks after it up to the size."""
    body = scene.answer.body
    missing = max((scene.fault.bytes or 0) - len(body), 0)
    await wire.head(scene.answer.status, _headers(scene, len(body) + missing))
    await wire.body(body)
    while missing:
        await wire.body(_BLANKS[:missing])
        missing -= min(missing, len(_BLANKS))


async def gzip_bomb(scene: Scene, wire: Wire) -> None:
    """The same compressed to a thousandth: one block of blanks, made once and sent again and again."""
    body = scene.answer.body
    blocks = (scene.fault.bytes or 0) // len(_BLANKS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush a block refers to nothing before it, so that it may stand anywhere.
    first = _GZIP_HEAD + packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(_BLANKS) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.flush()
    size = len(first) + blocks * len(block) + len(last) + 8
    await wire.head(scene.answer.status, [*_headers(scene, size), ("Content-Encoding", "gzip")])
    await wire.body(first)
    checksum = zlib.crc32(body)
    for _ in range(blocks):
        await wire.body(block)
        checksum = zlib.crc32(_BLANKS, checksum)
    length = (len(body) + blocks * len(_BLANKS)) % (1 << 32)
    await wire.body(last + checksum.to_bytes(4, "little") + length.to_bytes(4, "little"))


async def _begin(scene: Scene, wire: Wire) -> None:
    """The right head, and the body up to the cut."""
    await wire.head(scene.answer.status, _headers(scene, len(scene.answer.body)))
    await wire.body(scene.answer.body[: scene.cut])


def _headers(scene: Scene, length: int) -> list[tuple[str, str]]:
    """The answer's headers; the connection ends with it."""
    return [*scene.answer.headers.items(), ("Content-Length", str(length)), ("Connection", "close")]
