# SPDX-License-Identifier: MIT
"""A backup of a kiisrv that works, and its restore."""

import json
import tarfile

from stack import wait_until
from test_ctl import ctl, ctl_json, posted


def stop(stack):
    for process in stack.processes.values():
        assert process.stop() == 0, process.text()[-2000:]


def test_a_backup_in_the_middle_of_work_and_back(new_stack):
    mine = new_stack(conf={"queue": {"slots": 1}})
    first = mine.build(mine.layout("MD1-Standard"))
    assert first.json["success"] is True, first
    layout = mine.get("/layouts/MD1-Standard.json").body
    (mine.etc / "layouts/Own-One.json").write_bytes(layout)
    backup = mine.root / "backup.tar.gz"
    with posted(mine, mine.ordered("runs at the backup", "tick 2"),
                mine.ordered("waits at the backup", "say hello")) as (jobs, _):
        mine.wait_job(jobs[0], "running")
        told = ctl_json(mine, "backup", "--artifacts", backup)
        assert told["files"] >= 8 and told["file"] == str(backup)
    with tarfile.open(backup) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        names = set(tar.getnames()) - {"manifest.json"}
    assert {file["path"] for file in manifest["files"]} == names
    assert {"etc/kiisrv.toml", "layouts/0/Own-One.json", "state/engine/instance",
            "state/queue/jobs.sqlite", "state/public/stats.sqlite"} <= names
    assert any(name.startswith("state/artifacts/MD1-") for name in names)

    late = mine.post(mine.ordered("after the backup", "say late"))
    late_job = late.headers["X-Kiisrv-Job"]
    _, err = ctl(mine, "restore", backup, status=1)
    assert "stop kiisrv first" in err
    (mine.etc / "layouts/Own-One.json").write_text('{"changed": 1}')
    stop(mine)
    out, err = ctl(mine, "restore", backup)
    assert "*.replaced" in out and not err, (out, err)
    mine.start()

    # What was running and waiting then is done again; what came later never was.
    for job in jobs:
        assert mine.wait_job(job, "succeeded")
    assert mine.get(f"/api/v1/jobs/{late_job}").status == 404
    again = mine.build(mine.layout("MD1-Standard"))
    assert again.headers["X-Kiisrv-Job"] == first.headers["X-Kiisrv-Job"]
    assert mine.fetch(again.json["filename"])
    assert (mine.etc / "layouts/Own-One.json").read_bytes() == layout
    # Every folder and file has its owner and mode again.
    assert "FAIL" not in ctl(mine, "doctor")[0]


def test_an_interrupted_restore_keeps_the_worker_out(new_stack):
    mine = new_stack(start=False)
    (mine.state / "restoring").write_text("[]")
    worker = mine.start_worker(wait=False)
    assert worker.child.wait(20) == 1
    assert "kiisrvctl restore --finish" in worker.text()
    ctl(mine, "restore", "--finish")
    del mine.processes["worker"]
    mine.old_logs.append(worker)
    mine.start()
    wait_until(lambda: mine.get("/healthz").status == 200, 20)
