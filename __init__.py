from . import controllers, models, wizard


def uninstall_hook(env):
    """Put away the payment methods that took points: without this module they would take nothing of
    a member, and book it all the same."""
    env.cr.execute(
        "UPDATE pos_payment_method SET active = FALSE, use_payment_terminal = NULL"
        " WHERE use_payment_terminal = 'loyalty_engine'"
    )
