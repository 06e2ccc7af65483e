"""How much goes wrong when things go wrong: faults put in on purpose, counted.

    subject.py     a process to be ill-treated: it trains, and notes how far it is
    kills.py       kill -9 at random moments, then resumed to the same bits
    hostile.py     full disks, files that are gone, two at once, every signal
    flatness.py    memory and time of a step over thousands of steps

README.md has what came out. The tests run short forms.
"""
