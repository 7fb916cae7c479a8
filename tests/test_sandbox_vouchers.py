"""The sandbox engine's vouchers: what is checked, burned, refused, and told of it afterwards."""

import json
from concurrent.futures import ThreadPoolExecutor

from ..sandbox import demo
from .sandbox_case import JSON, KEY, MIA, OTTO, SandboxCase
from .sandbox_process import SandboxError

CHECK, BURN = {"allowFutureValidation": True}, {"allowFutureValidation": False}
BAKERY, HARBOUR = demo.VENUES


class VoucherCase(SandboxCase):
    def validate(self, code, *parts, **more):
        """Status and answer of a check or burn."""
        body = {"code": code, **more}
        for part in parts:
            body.update(part)
        return self.post("/v1/commands/validate_voucher", body)

    def worth(self, code, *parts, **more):
        """What an accepted code is told to be."""
        status, answer = self.validate(code, *parts, **more)
        self.assertEqual((status, answer["status"]), (200, "success"), answer)
        return answer["data"]

    def assert_refused(self, words, code, *parts, status=422, **more):
        found, answer = self.validate(code, *parts, **more)
        self.assertEqual((found, answer["status"]), (status, "fail"), answer)
        self.assertIn(words, answer["message"])

    def redeem(self, benefit_id, **more):
        return self.post("/v1/commands/redeem_benefit", {"benefitId": benefit_id, **more})

    def demo_benefit(self, code):
        return next(entry for entry in demo.BENEFITS if entry.code == code)


class TestSandboxVouchers(VoucherCase):
    def test_a_check_changes_nothing_but_the_first_validation(self):
        first = self.worth("MIA-FIVE", CHECK)
        self.assertEqual(first["reward"]["discounts"][0]["value"], 500)
        self.assertIsNone(first["burnedAt"])
        self.assertTrue(first["code"]["validatedAt"])
        self.assertEqual(self.worth("MIA-FIVE", CHECK), first)
        self.assertEqual((self.sandbox.burns(), self.sandbox.events()), ([], []))

    def test_a_burn_is_final(self):
        told = self.worth("MIA-FIVE", BURN, userIdentifier=MIA.id)
        self.assertTrue(told["burnedAt"])
        self.assertEqual(told["code"]["validatedAt"], told["burnedAt"])
        for part in (CHECK, BURN):
            self.assert_refused("used before", "MIA-FIVE", part)
        read = self.read(f"/v1/benefits/{told['id']}")
        self.assertEqual(read["burnedAt"], told["burnedAt"])
        (burn,) = self.sandbox.burns(told["id"])
        request = next(entry for entry in self.sandbox.requests() if entry["id"] == burn["request"])
        self.assertEqual(json.loads(request["body"])["code"], "MIA-FIVE")
        self.assertEqual((burn["memberId"], burn["userIdentifier"]), (MIA.id, MIA.id))
        (event,) = self.sandbox.events()
        self.assertEqual((event["type"], event["memberId"]), ("BURNED_VOUCHER", MIA.id))
        self.assertEqual(event["payload"]["benefitId"], told["id"])
        self.sandbox.wait_for_reactors()

    def test_it_burns_where_nothing_else_is_said(self):
        # S: the default of allowFutureValidation is false
        self.assertTrue(self.worth("MIA-FIVE")["burnedAt"])

    def test_burned_once_however_many_try(self):
        headers = {**KEY, **JSON, **self.token}
        body = {"code": "MIA-TEN", **BURN}

        def burn(_number):
            path = "/v1/commands/validate_voucher"
            return self.send("POST", path, body, headers, self.connect())[0]

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(burn, range(24)))
        self.assertEqual((statuses.count(200), statuses.count(422)), (1, 23))
        self.assertEqual(len(self.sandbox.burns()), 1)
        self.assertEqual(len(self.sandbox.events()), 1)

    def test_what_cannot_be_used(self):
        for part in (CHECK, BURN):
            self.assert_refused("no such voucher", "NOTHING", part, status=404)
            self.assert_refused("not redeemed", "Mia later", part)
            self.assert_refused("used before", "MIA-USED", part)
            self.assert_refused("expired", "MIA-OLD", part)
            # Codes are what they are.
            for code in ("mia-five", " MIA-FIVE", "MIA LATER"):
                self.assert_refused("no such voucher", code, part, status=404)
        self.assertEqual(self.sandbox.burns(), [])

    def test_redeemed_ones_do_not_expire(self):
        # D-BEN: expired is only what was neither redeemed nor validated
        given = self.sandbox.add_benefit(
            MIA.id, "5.00 off", expiresAt="2025-01-01T00:00:00.000Z", code="late"
        )
        self.assertEqual(given["state"], "usable")
        self.worth("late", BURN)

    def test_redeem(self):
        benefit = self.demo_benefit("Mia later")
        status, answer = self.redeem(benefit.id, position={"longitude": 8, "latitude": 50})
        self.assertEqual(status, 200)
        self.assertTrue(answer["data"]["redeemedAt"])
        self.assertEqual(self.redeem(benefit.id)[0], 422, "a second time")
        (event,) = self.sandbox.events()
        self.assertEqual((event["type"], event["memberId"]), ("REDEEMED_VOUCHER", MIA.id))
        self.worth("Mia later", BURN)
        self.assertEqual(self.redeem(self.demo_benefit("MIA-OLD").id)[0], 422)
        self.assertEqual(self.redeem("5a4db0c5-0000-4000-8000-000000000599")[0], 404)

    def test_readings_of_redeem(self):
        benefit = self.demo_benefit("Mia later")
        self.sandbox.set_options(
            redeem_again="accept", redeem_answer="empty", unredeemed_code="hidden"
        )
        self.assertIsNone(self.read(f"/v1/benefits/{benefit.id}")["code"]["value"])
        for _attempt in range(2):
            self.assertEqual(self.redeem(benefit.id), (200, {"status": "success", "data": None}))
        self.assertEqual(self.read(f"/v1/benefits/{benefit.id}")["code"]["value"], "Mia later")
        self.assertEqual(len(self.sandbox.events()), 1)

    def test_whose(self):
        for identifier in (MIA.id, MIA.account_number, MIA.auth_identifier):
            self.worth("MIA-FIVE", CHECK, userIdentifier=identifier)
        self.assert_refused("another member", "MIA-FIVE", CHECK, userIdentifier=OTTO.id)
        self.assert_refused("such user", "MIA-FIVE", CHECK, userIdentifier="nobody", status=404)
        self.sandbox.set_options(voucher_owner="ignore")
        self.worth("MIA-FIVE", CHECK, userIdentifier=OTTO.id)
        self.sandbox.set_options(voucher_owner="require")
        self.assert_refused("userIdentifier is missing", "MIA-FIVE", CHECK, status=400)

    def test_a_static_code_is_each_members_once(self):
        self.assert_refused("Several members", "WELCOME", BURN)
        for member in (MIA, OTTO):
            self.worth("WELCOME", BURN, userIdentifier=member.id)
            self.assert_refused("used before", "WELCOME", CHECK, userIdentifier=member.id)
        self.assertEqual([burn["memberId"] for burn in self.sandbox.burns()], [MIA.id, OTTO.id])

    def test_a_static_code_that_nobody_tracks(self):
        # D-STATIC
        self.sandbox.set_options(static_codes="anyone")
        for _attempt in range(2):
            self.assertIsNone(self.worth("WELCOME", BURN)["burnedAt"])
        self.assertEqual(len(self.sandbox.burns()), 2)

    def test_where(self):
        for venue in (HARBOUR["id"], HARBOUR["externalIdentifier"]):
            self.worth("MIA-HARBOUR", CHECK, venueIdentifier=venue)
        self.worth("MIA-FIVE", CHECK, venueIdentifier=BAKERY["id"])
        self.assert_refused("venue", "MIA-HARBOUR", BURN, venueIdentifier=BAKERY["id"])
        self.assert_refused("venue", "MIA-HARBOUR", BURN)
        self.assert_refused("such venue", "MIA-FIVE", CHECK, venueIdentifier="x", status=404)
        self.sandbox.set_options(missing_venue="accept", venue_by="id")
        self.worth("MIA-HARBOUR", CHECK)
        self.assert_refused(
            "such venue", "MIA-FIVE", CHECK, venueIdentifier="corner-bakery", status=404
        )

    def test_readings_of_the_answer(self):
        for reading in ("reward", "top", "benefit", "none"):
            self.sandbox.set_options(voucher_answer=reading)
            data = self.worth("MIA-FIVE", CHECK)
            found = {
                "reward": data.get("reward", {}).get("discounts"),
                "top": data.get("discounts"),
                "benefit": data.get("benefit", {}).get("reward", {}).get("discounts"),
            }
            told = {place for place, discounts in found.items() if discounts}
            self.assertEqual(told, {reading} - {"none"})

    def test_readings_of_a_refusal(self):
        for reading in ("422", "400", "404", "409", "200"):
            self.sandbox.set_options(voucher_refusal=reading)
            self.assert_refused("used before", "MIA-USED", CHECK, status=int(reading))

    def test_limits_of_the_commands(self):
        # C-SPEC ValidateVoucherCommand and RedeemBenefitCommand
        good = {"code": "MIA-FIVE"}
        for change in (
            {"code": ""},
            {"code": 5},
            {"code": None},
            {"allowFutureValidation": "true"},
            {"userIdentifier": ""},
            {"venueIdentifier": 7},
            {"position": {"longitude": 8}},
            {"position": {"longitude": 181, "latitude": 0}},
            {"position": {"longitude": 8, "latitude": True}},
            {"position": {"longitude": 8, "latitude": 0, "x": 1}},
            {"extra": 1},
        ):
            with self.subTest(change=change):
                self.assert_refused("", "MIA-FIVE", change, status=400)
        self.assertEqual(self.post("/v1/commands/validate_voucher", {})[0], 400)
        for body in ({}, {"benefitId": "x"}, {"benefitId": 5}):
            self.assertEqual(self.post("/v1/commands/redeem_benefit", body)[0], 400)
        self.assertEqual(self.sandbox.burns(), [], good)

    def test_who_may(self):
        for path in ("validate_voucher", "redeem_benefit"):
            for headers, status in (({}, 403), (KEY, 401)):
                found = self.send("POST", f"/v1/commands/{path}", {}, {**JSON, **headers})[0]
                self.assertEqual(found, status)


class TestSandboxRewards(VoucherCase):
    def test_a_wallet(self):
        def codes(key="vouchers"):
            wallet = self.read(f"/v1/users/{MIA.id}/wallet")
            return [entry["code"]["value"] for entry in wallet[key]]

        every = [entry.code for entry in demo.BENEFITS if entry.member_id == MIA.id]
        self.assertEqual(codes(), every)
        self.sandbox.set_options(
            wallet_burned=False, wallet_vouchers_key="benefits", wallet_discounts=False
        )
        self.assertEqual(set(every) - set(codes("benefits")), {"MIA-USED"})
        wallet = self.read(f"/v1/users/{MIA.id}/wallet")
        self.assertNotIn("discounts", wallet["benefits"][0]["reward"])
        self.sandbox.set_options(wallet_vouchers_key="missing")
        self.assertEqual(set(self.read(f"/v1/users/{MIA.id}/wallet")), {"pointsBalance", "tier"})

    def test_rewards(self):
        rewards = self.read("/v1/rewards?limit=1000&order=ASC")
        self.assertEqual([reward["id"] for reward in rewards], [r["id"] for r in demo.REWARDS])
        types = {entry["type"] for reward in rewards for entry in reward["discounts"]}
        self.assertEqual(types, {"ABSOLUTE", "PERCENTAGE", "FIXED", "THREE_FOR_TWO"})
        thirty = next(reward for reward in rewards if reward["minTransactionAmount"])
        self.assertEqual(thirty["minTransactionAmount"], 30)
        self.sandbox.set_options(amount_limits="minor")
        self.assertEqual(self.read(f"/v1/rewards/{thirty['id']}")["minTransactionAmount"], 3000)

    def test_venues(self):
        # D-ANON: with the key alone
        status, answer, _headers = self.send("GET", "/v1/venues", headers=KEY)
        self.assertEqual((status, answer["data"]), (200, list(demo.VENUES)))
        self.assertEqual(self.read(f"/v1/venues/{BAKERY['id']}"), BAKERY)
        self.read("/v1/venues/x", 404)

    def test_benefits_in_pages(self):
        first = self.read("/v1/benefits?limit=2&order=ASC")
        self.assertEqual([entry["id"] for entry in first], [b.id for b in demo.BENEFITS[:2]])
        (last,) = self.read("/v1/benefits?limit=1&order=DESC")
        self.assertEqual(last["id"], demo.BENEFITS[-1].id)

    def test_the_demo_data_fit(self):
        states = {entry["code"]: entry["state"] for entry in self.sandbox.benefits(member=MIA.id)}
        self.assertEqual(set(states.values()), {"usable", "burned", "expired", "not redeemed"})
        self.assertGreaterEqual(list(states.values()).count("usable"), 8)
        kinds = {reward["codeType"] for reward in demo.REWARDS}
        self.assertEqual(kinds, {"OTP", "STATIC", "POOL", None})


class TestSandboxVoucherControl(VoucherCase):
    def test_a_voucher_is_given(self):
        given = self.sandbox.add_benefit(OTTO.account_number, "10 % off")
        self.assertEqual((given["memberId"], given["state"]), (OTTO.id, "usable"))
        self.worth(given["code"], BURN, userIdentifier=OTTO.id)
        self.assertEqual(self.sandbox.benefit(given["id"])["state"], "burned")
        self.assertEqual(self.sandbox.benefit(given["id"])["burns"], 1)
        own = self.sandbox.add_benefit(OTTO.id, demo.REWARDS[0]["id"], code=" a B ", redeemed=False)
        self.assertEqual((own["code"], own["state"]), (" a B ", "not redeemed"))
        self.assertEqual(self.sandbox.add_benefit(OTTO.id, "2.50 off")["code"], "POOL-0002")
        self.assertEqual(self.sandbox.add_benefit(OTTO.id, "2.50 off")["code"], "POOL-0003")
        self.assertEqual(self.sandbox.add_benefit(OTTO.id, "Welcome, 1.00 off")["code"], "WELCOME")
        self.assertEqual(len(self.sandbox.benefits()), len(demo.BENEFITS) + 5)

    def test_a_reward_is_added(self):
        wrong = [{"type": "ABSOLUTE", "value": "lots"}]
        reward = self.sandbox.add_reward("Odd", wrong, minTransactionAmount=5, hideCode=True)
        given = self.sandbox.add_benefit(MIA.id, "Odd", code="ODD")
        self.assertEqual(self.worth("ODD", CHECK)["reward"]["discounts"], wrong)
        self.assertEqual(self.read(f"/v1/rewards/{reward['id']}/discounts"), wrong)
        self.assertIsNone(self.read(f"/v1/benefits/{given['id']}")["code"])
        self.assertIn(reward, self.sandbox.rewards())

    def test_what_cannot_be(self):
        for path, body in (
            ("members/nobody/benefits", {"reward": "5.00 off"}),
            (f"members/{MIA.id}/benefits", {}),
            (f"members/{MIA.id}/benefits", {"reward": "Nothing"}),
            (f"members/{MIA.id}/benefits", {"reward": "5.00 off", "code": ""}),
            (f"members/{MIA.id}/benefits", {"reward": "5.00 off", "redeemed": 1}),
            (f"members/{MIA.id}/benefits", {"reward": "5.00 off", "expiresAt": "soon"}),
            (f"members/{MIA.id}/benefits", {"reward": "5.00 off", "x": 1}),
            ("rewards", {"name": ""}),
            ("rewards", {"name": "A", "x": 1}),
            ("rewards", {"name": "A", "venues": None}),
            ("rewards", {"id": demo.REWARDS[0]["id"]}),
        ):
            with self.subTest(path=path, body=body), self.assertRaises(SandboxError):
                self.sandbox.control("POST", path, body)
        with self.assertRaises(SandboxError):
            self.sandbox.benefits(member="nobody")

    def test_reset(self):
        self.sandbox.add_reward("Odd")
        self.sandbox.add_benefit(MIA.id, "Odd")
        self.worth("MIA-FIVE", BURN)
        self.sandbox.reset()
        self.assertEqual(len(self.sandbox.rewards()), len(demo.REWARDS))
        self.assertEqual(len(self.sandbox.benefits()), len(demo.BENEFITS))
        self.assertEqual(self.sandbox.burns(), [])
        self.worth("MIA-FIVE", BURN)
