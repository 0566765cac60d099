"""Fork tasks from a warm process, as Airflow's executors do, and count how they end.

`python -m tests.support.forks COUNT LIMIT_S [spoiled]` prints `{"done": ..., "failed": ..., "hung": ...}`. Spoiled: the
parent has used two threads before it forks, which is what a warm process must not do.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

AT_ONCE = 2
"""Children alive at the same time: each has two threads, so that they compete on a small machine."""


def fit() -> None:
    """Fit what the examples fit, on two threads, as a task does."""
    import numpy as np
    import threadpoolctl
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x = random.normal(size=(300, 8))
    y = x[:, 0] + random.normal(size=300) > 0
    with threadpoolctl.threadpool_limits(2):
        HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=5, early_stopping=False).fit(x, y)
        LogisticRegression().fit(x @ random.normal(size=(8, 8)), y)


def fork() -> int:
    """Start a child that fits and ends."""
    child = os.fork()
    if child:
        return child
    try:
        fit()
    except BaseException:  # noqa: BLE001 - whatever it was, a forked child must not return into its parent's code
        os._exit(1)
    os._exit(0)


def count_ends(count: int, limit_s: float) -> dict[str, int]:
    """Fork `count` children, a few at a time; one that lives longer than the limit hangs."""
    ends = {"done": 0, "failed": 0, "hung": 0}
    started: dict[int, float] = {}
    n_forked = 0
    while n_forked < count or started:
        if n_forked < count and len(started) < AT_ONCE:
            started[fork()] = time.monotonic()
            n_forked += 1
            continue
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            ends["hung" if hung else "done" if status == 0 else "failed"] += 1
            del started[child]
            continue
        for other, since in started.items():
            if time.monotonic() - since > limit_s:
                os.kill(other, signal.SIGKILL)
        time.sleep(0.01)
    return ends


if __name__ == "__main__":
    from retraining_airflow import warm

    assert warm(["airflow", "scheduler"]), "this process was not warmed"
    assert "sklearn" in sys.modules and "mlflow" in sys.modules
    if "spoiled" in sys.argv[3:]:
        fit()
    print(json.dumps(count_ends(int(sys.argv[1]), float(sys.argv[2]))))
