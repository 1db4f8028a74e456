"""Telling that the process behind a placement is gone, and never that one that lives is."""

import subprocess
import sys

import pytest

from orderbridge.placement.owner import is_gone, owner_name

NAME = """
import sys
from orderbridge.placement.owner import owner_name
print(owner_name(), flush=True)
sys.stdin.read()
"""


def test_a_process_that_lives_is_not_gone_and_one_that_ended_is() -> None:
    """As seen from another process of this machine."""
    with subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        owner = child.stdout.readline().strip()
        alive = is_gone(owner)
        child.kill()
        child.wait()

    assert (alive, is_gone(owner)) == (False, True)


def test_two_bridges_of_one_process_have_two_names_and_both_live() -> None:
    """A name is of one bridge's work, not of the process alone."""
    first, second = owner_name(), owner_name()

    assert first != second
    assert (is_gone(first), is_gone(second)) == (False, False)


def test_a_process_number_that_was_given_out_again_is_another_process() -> None:
    """In a container every life may have the same number: the start time tells them apart."""
    realm, number, started, word = owner_name().split(":")

    assert is_gone(":".join([realm, number, str(int(started) - 1), word]))


@pytest.mark.parametrize("owner", ["", "elsewhere:1:gone", ":1:5:a", "other@1:1:5:a", "a:b:c:d", "a:²:c:d"])
def test_what_cannot_be_told_from_here_is_not_said_to_be_gone(owner: str) -> None:
    """Another machine's or namespace's process, and a name of another form, are left to their lease."""
    assert not is_gone(owner)
