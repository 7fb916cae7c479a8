"""What the module costs and what it can carry, measured on a real server and a real browser.

``bin/bench`` prepares the databases and starts this; the module itself never imports it.
"""
