from . import loyalty_engine_points_payment, partner_merge, pos_payment
