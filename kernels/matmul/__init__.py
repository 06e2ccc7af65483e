"""Matrix product of the last two axes, leading axes broadcast.

    a (..., M, K)    b (..., K, N)    c (..., M, N)        c = a b

forward(a, b) -> (c, saved);  saved = (a, b)
backward(dc, saved, needs) -> (da, db)

c_mn = sum_k a_mk b_kn gives da = dc b^T and db = a^T dc, summed over the axes that were broadcast.
"""
