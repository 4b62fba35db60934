"""One of several processes of a run: `python pod_worker.py PORT PROCESS PROCESSES JOBS`.

JOBS is a JSON list of command lines of examples.pretrain.train, done one after the other, so that
many runs share one start.
"""

import json
import sys

from rich.console import Console

from examples.pretrain import hosts, train
from examples.pretrain.config import parse
from examples.pretrain.errors import shown_in_one_line


def main(port, process, processes, jobs):
    hosts.start(hosts.Launch(f"localhost:{port}", int(processes), int(process)))
    for arguments in json.loads(jobs):
        train.run(parse(arguments), Console(quiet=not hosts.is_first()))


if __name__ == "__main__":
    with shown_in_one_line("pod_worker"), hosts.ending_with_the_others("pod_worker"):
        main(*sys.argv[1:])
