"""Whether a column keeps a text as it is, asked before the server is given it.

Servers change much in silence: 19.999 becomes 20.00 in a decimal(5,2), 1.5 becomes 2, a fraction of
a second goes. Here each type has a rule that says which texts it keeps, and what the author's
policy makes of the others. `columns` applies the rules of a table to batches of rows.
"""
