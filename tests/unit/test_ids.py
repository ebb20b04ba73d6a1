"""Ids are made by one process alone, whatever others do to the generators of this one."""

from __future__ import annotations

import os
import random

from services.ids import new_id


def test_seeding_the_shared_generator_makes_no_id_come_twice() -> None:
    random.seed(7)
    first = [new_id() for _ in range(10)]
    random.seed(7)
    assert not set(first) & {new_id() for _ in range(10)}


def test_a_forked_process_makes_ids_of_its_own() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().encode())
        os._exit(0)
    here = new_id()
    os.waitpid(child, 0)
    assert os.read(read, 32).decode() != here
