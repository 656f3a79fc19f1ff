"""What tensors are called in a model's files, and by whoever reads a part of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """How the names in files that begin in some way begin for a reader of one part.

    Attributes:
        begins: pairs (in files, for the reader); the first of several spellings is the one that
            transformers writes. A name that begins in none of these ways is the same for both.
        others: beginnings, in files, of what belongs to another part and is not looked at.
    """

    begins: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()

    def read(self, name: str) -> str | None:
        """A name in files for the reader; None where it belongs to another part."""
        if name.startswith(self.others):
            return None
        for there, here in self.begins:
            if name.startswith(there):
                return here + name.removeprefix(there)
        return name

    def written(self, name: str) -> str:
        """A reader's name as transformers writes it."""
        for there, here in self.begins:
            if name.startswith(here):
                return there + name.removeprefix(here)
        return name


PLAIN = Naming()
