"""The protocol by which vouchers and points are spent, explored in every order of events.

A world small enough to be searched to its end: one engine, one member with ten points and one
voucher, one or two sales. Whatever can happen next is tried, from every state that can be reached:
requests that get lost or arrive late, servers that die between two writes, tills that give up,
orders that come days later or are deleted on another till.

Read in this order:

* ``world``        what there is at one moment
* ``machine``      what is being explored: a scenario, with which protections, and who acts in it
* ``engine_side``, ``till_side``, ``server_side``, ``background``   the actors, one function each:
  from a world to the worlds that it can make of it
* ``promises``     what must hold in every world, and what when nothing more can happen
* ``scenarios``    what is explored, and which damage each protection keeps away
* ``explorer``     the search, and the shortest story that ends in a broken promise

``python -m protocol`` in the folder above explores all of it and tells what it finds.
"""
