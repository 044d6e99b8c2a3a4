"""The states of experiments and trials, and which change may follow which."""

ACTIVE = "ACTIVE"
PAUSED = "PAUSED"
COMPLETED = "COMPLETED"
CANCELED = "CANCELED"
ERROR = "ERROR"
STOPPING_COMPLETED = "STOPPING_COMPLETED"
STOPPING_CANCELED = "STOPPING_CANCELED"
STOPPING_KILLED = "STOPPING_KILLED"
STOPPING_ERROR = "STOPPING_ERROR"

TERMINAL = frozenset({COMPLETED, CANCELED, ERROR})
# In rising order: a stop may be made harder, never softer.
ENDS = {
    STOPPING_COMPLETED: COMPLETED,
    STOPPING_CANCELED: CANCELED,
    STOPPING_KILLED: CANCELED,
    STOPPING_ERROR: ERROR,
}
HARDNESS = list(ENDS)
KILLING = frozenset({STOPPING_KILLED, STOPPING_ERROR})


def escalate(now: str, wish: str) -> str:
    """Return the state after wishing for a stop; an end or a harder stop stays."""
    if now in TERMINAL:
        return now
    if now in ENDS and HARDNESS.index(now) >= HARDNESS.index(wish):
        return now
    return wish


# Allocations: from the moment a slot is taken until no process is left.
STARTING = "STARTING"
RUNNING = "RUNNING"
TERMINATED = "TERMINATED"
