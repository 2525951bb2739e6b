"""Hamiltonian Generative Networks: learn q, p and H from pixels, on the data sets of `physim`.

Nothing is loaded here; import the module that is needed, such as `hgn_train.models` or
`hgn_train.train`.
"""
