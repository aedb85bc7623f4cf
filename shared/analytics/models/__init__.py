"""Purchase and retention models: numpy and scipy only, on groups of customers rather than on customers.

Everything that depends on a customer's history depends on (x, t_x, T) alone, so a million customers are a few hundred
thousand groups with counts, and the costly functions depend on even less: the gamma functions on x, the logarithms on
the day, the hypergeometric ones on (x, day). Each is evaluated once per distinct value.

`x` is the number of repeat purchase days, `t_x` the time of the last one and `t_cal` (T) the length of observation,
both counted from the first purchase, in the model's unit (weeks or days).
"""
