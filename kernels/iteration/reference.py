"""The next iteration in array code."""


def advance(number, rates, rate):
    """Go on to the next iteration, in place."""
    number += 1
    if int(number) < len(rates):
        rate[...] = rates[int(number)]
