"""The few facts of an ELF executable that wheel tags depend on; knows nothing of tags.

From https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html.
"""

from __future__ import annotations

import struct
from pathlib import Path

from kedge.classes import frozen

_I386, _ARM = 3, 40
_ARM_ABI_MASK, _ARM_ABI_VERSION_5, _ARM_HARD_FLOAT = 0xFF000000, 0x05000000, 0x00000400
_PT_INTERP = 3


@frozen
class Elf:
    """``loader`` is the program interpreter (the dynamic loader), ``None`` in a static one."""

    bits: int
    little_endian: bool
    machine: int
    flags: int
    loader: str | None

    @property
    def is_i686(self) -> bool:
        return self.bits == 32 and self.little_endian and self.machine == _I386

    @property
    def is_armhf(self) -> bool:
        """ARM with the hard-float calling convention, EABI 5: what ``armv7l`` wheels need."""
        return (
            self.bits == 32
            and self.little_endian
            and self.machine == _ARM
            and self.flags & _ARM_ABI_MASK == _ARM_ABI_VERSION_5
            and bool(self.flags & _ARM_HARD_FLOAT)
        )


def read_elf(path: Path) -> Elf | None:
    """``None`` when the file cannot be read or is not ELF."""
    try:
        with path.open("rb") as file:
            ident = file.read(16)
            if ident[:4] != b"\x7fELF":
                return None
            bits, little = {1: 32, 2: 64}[ident[4]], ident[5] == 1
            order = "<" if little else ">"
            address = "Q" if bits == 64 else "I"
            header = f"{order}HHI{address}{address}{address}IHHH"
            fields = struct.unpack(header, file.read(struct.calcsize(header)))
            machine, table, flags, entry_size, entries = (fields[i] for i in (1, 4, 6, 8, 9))
            program = f"{order}IIQQQQ" if bits == 64 else f"{order}IIIII"
            where, length = (2, 5) if bits == 64 else (1, 4)
            loader = None
            for index in range(entries):
                file.seek(table + entry_size * index)
                entry = struct.unpack(program, file.read(struct.calcsize(program)))
                if entry[0] == _PT_INTERP:
                    file.seek(entry[where])
                    loader = file.read(entry[length]).decode("utf-8", "replace").strip("\0")
                    break
    except (OSError, KeyError, IndexError, struct.error):
        return None
    return Elf(bits, little, machine, flags, loader)
