from __future__ import annotations

import subprocess

from taskrunner.host.process_tree import kill_tree


def test_a_tree_is_killed_with_those_who_left_the_group() -> None:
    script = "setsid sh -c 'echo $$; sleep 1000' & echo $$; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert all(int(process.stdout.readline()) for _ in range(2))
    kill_tree(process.pid)
    assert process.wait(30) == -9
    assert process.stdout.read() == ""  # ends only when the last holder of the pipe is gone
    process.stdout.close()
    kill_tree(process.pid)  # gone already: no error
