"""Sales on a real Odoo with everything going wrong, and three books compared afterwards.

``bin/drill`` prepares the database and starts this; the module itself never imports it.

* ``plan``       what each sale will be and what will happen to it, from a seed
* ``mishaps``    what can go wrong, one by one
* ``till``       a till without a browser: the calls that a till makes, in their order
* ``stage``      the sandbox engine, the database and the Odoo server that all of it happens on
* ``directed``   stories that random faults hardly ever tell
* ``books``      Odoo's orders, the ledger and the engine's events, held against each other
* ``inside/``    what is loaded into the Odoo server: kills, shorter waits, protections off
"""
