"""What ends one task of a rehearsal; the rehearsal itself goes on as the backend would."""


class TaskError(Exception):
    """The backend would let this task fail; says why."""
