"""How fast a training step is: minires on its backends, PyTorch beside it, by turns.

An *entry* is one row: which network, which engine, how (`entries.py`). A *step* is what an entry
does when it is ready to run (`steps.py`; `minires_step.py`, `torch_step.py`). In a *race* the steps
take turns (`race.py`): in each round each of them runs a few times while the others wait, so that
whatever else the machine does meets all of them alike. The *report* says what came out
(`report.py`).

On a CPU every entry is a process of its own, so that its peak memory is its own and no library's
threads get in another's way. On a GPU the entries of one library share a process.

    account.py       what a step asks of a GPU: launches and bytes, without one
    ladder.py        a kernel in several versions: right, and how much memory traffic
    reliability/     faults put in on purpose, and what comes of them
    gpu_session.py   all that a machine with a GPU is to tell, in one command
    results/         what was measured, where and when
"""
