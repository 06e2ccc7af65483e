"""Sums of products by named axes (Einstein's summation).

    y = sum over every letter that the output does not name of the product of all operands

The gradient of an operand has the same form: the output's letters and those of the other operands
go in, the operand's letters come out. A letter that stands in this operand alone was summed away:
its gradient is the same along that whole axis. A letter that stands twice in the operand picks a
diagonal: the gradient lies on that diagonal, and is 0 beside it.

forward(*operands, inputs, output) -> (y, saved)
    inputs : a string of letters for each operand        output : the letters of y, each once
    saved = (inputs, output, *operands)
backward(dy, saved, needs) -> (gradient of each operand)
"""
