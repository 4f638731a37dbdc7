"""Whose leftovers may be removed."""

from __future__ import annotations

import re
import subprocess
import sys

from sandboxes.leftovers import owner_is_dead, owner_label

PRINT = "from sandboxes.leftovers import owner_label; print(owner_label(), flush=True); input()"


def test_a_process_that_runs_is_not_dead_and_a_killed_one_is() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        label = process.stdout.readline().strip()
        lived = owner_is_dead(label)
        process.kill()
        process.wait()
    assert not lived
    assert owner_is_dead(label)


def test_a_dead_process_that_nobody_waited_for_is_dead() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        label = process.stdout.readline().strip()
        process.kill()
        assert process.stdout.read() == ""  # it has ended
        while not owner_is_dead(label):
            pass


def test_a_number_that_another_process_has_now_is_not_the_owner() -> None:
    *fields, start = owner_label().split(".")
    assert owner_is_dead(".".join((*fields, str(int(start) + 1))))


def test_what_may_belong_to_somebody_else_is_left_alone() -> None:
    machine, boot, namespace, user, _, start = owner_label().split(".")
    gone = "4194304.1"  # above the highest number a process can have
    assert owner_is_dead(f"{machine}.{boot}.{namespace}.{user}.{gone}")
    assert not owner_is_dead(f"0123456789ab.{boot}.{namespace}.{user}.{gone}"), "another machine"
    assert not owner_is_dead(f"{machine}.{boot}.1{namespace}.{user}.{gone}"), "another container"
    assert not owner_is_dead(f"{machine}.{boot}.{namespace}.1{user}.{gone}"), "another account"
    for odd in ("", "x", "......", f"{machine}.{boot}.{namespace}.{user}.-1.{start}"):
        assert not owner_is_dead(odd)


def test_what_an_earlier_start_of_the_machine_left_is_dead() -> None:
    machine, _, namespace, user, pid, start = owner_label().split(".")
    assert owner_is_dead(".".join((machine, "0123456789ab", namespace, user, pid, start)))


def test_a_label_can_be_the_name_of_a_file() -> None:
    assert re.fullmatch(r"[a-z0-9.]{1,100}", owner_label())
