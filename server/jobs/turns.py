"""Whose turn it is. Waiting jobs are in rounds, and in each round every client has one job.

A job's round is fixed when it is handed in: the one after its client's last, but none that has begun without it. So the
queue has one order, which can be listed and paged, and a client with a thousand jobs delays another's first one by one
job. (Start-time fair queueing: Goyal, Vin, Cheng, 1996, with jobs of equal length.)
"""

from __future__ import annotations

from sqlalchemy import Connection, false, func, insert, select, update

from limner.server.jobs.tables import jobs, queue, turns


def hold_queue(connection: Connection) -> bool:
    """Let nobody else change the order until the transaction ends. Gives whether the queue is paused."""
    return bool(connection.execute(select(queue.c.is_paused).with_for_update()).scalar_one())


def next_turn(connection: Connection, client: str, rank: int) -> int:
    """The round in which a client's next job is. Paused jobs take no part."""
    own = [turns.c.client == client, turns.c.rank == rank]
    waiting = [jobs.c.client == client, jobs.c.state == "pending", jobs.c.rank == rank, jobs.c.is_paused == false()]
    begun = connection.execute(select(func.max(turns.c.turn)).where(turns.c.rank == rank)).scalar_one()
    served = connection.execute(select(turns.c.turn).where(*own)).scalar()
    last = connection.execute(select(func.max(jobs.c.turn)).where(*waiting)).scalar_one()
    latest: int = max(begun or 0, *(turn + 1 for turn in (served, last) if turn is not None), 0)
    return latest


def note_served(connection: Connection, client: str, rank: int, turn: int) -> None:
    """A job of this round was taken: the client's next one is in a later round."""
    own = [turns.c.client == client, turns.c.rank == rank]
    served = connection.execute(select(turns.c.turn).where(*own)).scalar()
    if served is None:
        connection.execute(insert(turns).values(client=client, rank=rank, turn=turn))
    elif served < turn:
        connection.execute(update(turns).where(*own).values(turn=turn))
