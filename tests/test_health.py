from unittest.mock import patch

from odoo.tests import TransactionCase, tagged

CONNECTION = "odoo.addons.pos_loyalty_engine.models.loyalty_engine"


@tagged("post_install", "-at_install")
class TestHealth(TransactionCase):
    """Two processes that note how the same connection is, each in a transaction of its own."""

    def setUp(self):
        super().setUp()
        # Other transactions see only what is committed: it is taken away again.
        with self.registry.cursor() as cr:
            connections = self.env(cr=cr)["loyalty.engine"]
            with patch.object(type(connections), "_wake_job"):
                self.engine_id = connections.create({"name": "Raced"}).id
            cr.execute(
                "INSERT INTO loyalty_engine_health (engine_id, failures) VALUES (%s, 0)",
                (self.engine_id,),
            )
        self.addCleanup(self._delete_connection)

    def _delete_connection(self):
        with self.registry.cursor() as cr:
            self.env(cr=cr)["loyalty.engine"].browse(self.engine_id).unlink()

    def _failures(self):
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT failures FROM loyalty_engine_health WHERE engine_id = %s",
                (self.engine_id,),
            )
            return cr.fetchone()[0]

    def test_who_loses_the_race_says_nothing(self):
        health = self.env["loyalty.engine.health"]
        for note in (
            lambda: health._note_failure(self.engine_id, "down"),
            lambda: health._note_pause(self.engine_id, 5, "throttled"),
            lambda: health._note_success(self.engine_id),
            lambda: health._let_one_probe(self.engine_id),
        ):
            with self.registry.cursor() as cr:
                cr.execute(
                    "UPDATE loyalty_engine_health SET failures = 1, resume_at = '2020-01-01'"
                    " WHERE engine_id = %s",
                    (self.engine_id,),
                )
            late = self.registry.cursor()
            # Now it sees the database as it is, and not what comes.
            late.execute("SELECT 1")
            health._note_failure(self.engine_id, "down")
            with (
                self.subTest(note=note),
                patch.object(self.registry, "cursor", return_value=late),
                self.assertNoLogs("odoo.sql_db", "WARNING"),
            ):
                self.assertFalse(note())
            self.assertTrue(late.closed)
            self.assertEqual(self._failures(), 2)
