from . import pos_loyalty_engine, redemption
