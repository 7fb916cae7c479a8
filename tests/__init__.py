from . import test_connection, test_identify, test_outbox, test_queries
