"""A choice between two arrays, element by element.

    y = a where the condition holds, b elsewhere; all three are broadcast
    da = dy where the condition holds, 0 elsewhere        db = dy elsewhere, 0 where it holds

each summed down to its operand's shape (see `add`). What is not chosen receives exactly 0, so a NaN
or an infinity in it stays without effect.

forward(a, b, condition) -> (y, saved);  condition: a bool array, of which a copy is kept
    saved = (a.shape, b.shape, condition)
backward(dy, saved, needs) -> (da, db)
"""
