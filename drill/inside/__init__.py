"""What is loaded into the Odoo server that the drill starts, and never into another."""
