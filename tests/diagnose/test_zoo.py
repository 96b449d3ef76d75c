"""Against real servers, each with a defect: the causes that are found, and what they name."""

from __future__ import annotations

import pytest

from diagnose import zoo
from diagnose.zoo import Animal, Keeper
from kedge.diagnose.examine import examine


@pytest.mark.parametrize(
    "animal",
    [pytest.param(each, id=each.id) for each in (*zoo.CERTIFICATES, *zoo.HANDSHAKES, *zoo.ROUTES)],
)
def test_causes_and_what_they_name(animal: Animal, keeper: Keeper) -> None:
    url = animal.build(keeper)
    found = examine(url, keeper.surroundings).findings
    assert tuple(finding.cause for finding in found) == animal.causes
    animal.check(found, keeper)
