"""A slow link on loopback: ``python relay.py PORT TARGET DELAY_MS MBIT`` relays between two ports.

A packet shaper of the kernel (netem in a network namespace) would do the same for every tool, where
the kernel has one; this needs no privileges. Each direction is one wire that all connections share:
bytes wait for their turn at the given rate, then travel for half the round trip. A connection costs
one round trip before its first byte, as TCP does.
"""

from __future__ import annotations

import asyncio
import sys

_CHUNK = 64 * 1024
#: What may be under way in one direction of one connection, as a TCP window: then the sender waits.
_WINDOW = 2 * 1024 * 1024


class Wire:
    """One direction."""

    def __init__(self, delay: float, rate: float) -> None:
        self._delay = delay
        self._rate = rate
        self._free = 0.0

    def arrival(self, count: int) -> float:
        """When that many bytes, sent now, have arrived."""
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + count / self._rate
        return self._free + self._delay


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire) -> None:
    """Everything from the one to the other, until the sender is done."""
    loop = asyncio.get_running_loop()
    pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WINDOW // _CHUNK)

    async def receive() -> None:
        while data := await reader.read(_CHUNK):
            await pending.put((wire.arrival(len(data)), data))
        await pending.put((wire.arrival(0), b""))

    receiving = asyncio.create_task(receive())
    try:
        while True:
            at, data = await pending.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            if not data:
                return
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        receiving.cancel()
        writer.close()


async def main(port: int, target: int, delay: float, rate: float) -> None:
    up, down = Wire(delay / 2, rate), Wire(delay / 2, rate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(
            carry(reader, back, up), carry(there, writer, down), return_exceptions=True
        )

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    port, target, delay_ms, megabits = sys.argv[1:]
    asyncio.run(main(int(port), int(target), float(delay_ms) / 1e3, float(megabits) * 1e6 / 8))
