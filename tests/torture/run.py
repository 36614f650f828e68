# SPDX-License-Identifier: MIT
"""One run: clients ask while the torturer works; then calm, and all checks."""

import time

import checks
from clients import PATIENCE, Builder, Operator
from victims import Chaos
from world import NEAR, World


def torture(engine, seed, seconds, builders, operators, pause, without=(), far=NEAR, least=1):
    """So many seconds of torture on an engine; `far`: how many seconds the clock may jump, `least`:
    how many things each client asks for, whatever time that takes. AssertionError: what was wrong.
    """
    world = World(engine, seed, far)
    try:
        end = world.diary.now() + seconds
        clients = [Builder(world, n, end, least) for n in range(builders)] + \
            [Operator(world, builders + n, end, least) for n in range(operators)]
        chaos = Chaos(world, seconds, pause, without)
        found = suffer(world, clients, chaos, seconds, PATIENCE + 30 * least)
    except BaseException:
        world.close()
        raise
    world.stack.last_look = lambda state: found.extend(checks.ended(state))
    try:
        world.close()
    except AssertionError as failure:
        found.append(str(failure))
    found += checks.processes(world) + world.diary.faults
    print(summary(world, clients))
    assert not found, f"seed {world.seed}, diary {world.dir}/diary\n" + "\n".join(found)


def suffer(world, clients, chaos, seconds, patience):
    for thread in (*clients, chaos):
        thread.start()
    chaos.join(seconds + 120)
    chaos.stop()
    world.clock.set(0)
    world.calm()
    deadline = time.monotonic() + patience
    for client in clients:
        client.join(max(deadline - time.monotonic(), 1))
    found = [f"client {c.number} hangs" for c in clients if c.is_alive()]
    found += checks.once(world) + checks.promises(world, clients)
    return found + checks.engine(world, clients) + checks.files(world, clients)


def summary(world, clients):
    """One line for each kind of event and of wish, so that a run that did nothing shows."""
    did, wished = {}, {}
    for _, what, _ in world.diary.events:
        did[what] = did.get(what, 0) + 1
    for client in clients:
        for p in client.promises:
            key = f"{p.what}:{p.seen}"
            wished[key] = wished.get(key, 0) + 1
    return f"done: {did}\nkept: {wished}"
