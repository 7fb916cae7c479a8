from . import loyalty_engine_points_payment, pos_payment
