"""The till in the browser: how long it takes to start, and from a scan to what it shows."""

import json

from .servers import BenchError

START_LIMIT = 180.0  # seconds
SCAN_LIMIT = 15.0

# Looks at every frame, so that it sees what a cashier sees, and presses "Open Register" at once.
WATCH_START = """
(() => {
    const look = () => {
        if (document.querySelector(".product-screen .product")?.offsetHeight) {
            // After the frame with the products in it, when a touch would be answered.
            setTimeout(() => (window.benchReady = performance.now()));
            return;
        }
        document.querySelector(".login-overlay .open-register-btn")?.click();
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})();
"""

WHAT_WAS_LOADED = """
(() => {
    const entries = [
        ...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource"),
    ].filter((entry) => entry.startTime <= window.benchReady);
    return {
        milliseconds: window.benchReady,
        requests: entries.length,
        bytes: entries.reduce((sum, entry) => sum + entry.transferSize, 0),
    };
})()
"""

SCRIPTS = """
(async () => {
    const bytes = [0, 0];
    for (const { src } of document.querySelectorAll("script[src]")) {
        const [entry] = performance.getEntriesByName(src);
        const file = await (await fetch(src)).arrayBuffer();
        bytes[Number(entry.startTime > window.benchReady)] += file.byteLength;
    }
    return bytes;
})()
"""

# Types a code as a scanner does, and looks for the name; from the Enter to when the name is drawn.
# In one go: on a busy machine keys from outside come too slowly to be taken for a scanner's.
SCAN = """
((code, name) => {
    const scanned = (window.benchScanned = {});
    const look = () => {
        if (document.querySelector(".o_pos_loyalty_engine_name")?.textContent === name) {
            observer.disconnect();
            // What changes in a frame is drawn after all changes were made: then, and not before.
            setTimeout(() => (scanned.milliseconds = performance.now() - begin));
        }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, characterData: true, subtree: true });
    for (const key of code) {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    }
    const begin = performance.now();
    document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", { key: "Enter", bubbles: true })
    );
})
"""

# What the scripts below share: to find what is shown, and to wait for it.
TOOLS = """
    const shown = (selector) =>
        [...document.querySelectorAll(selector)].find((element) => element.offsetHeight);
    const wait = (find) =>
        new Promise((resolve, reject) => {
            const ends = performance.now() + 30000;
            const look = () => {
                const found = typeof find === "string" ? shown(find) : find();
                if (found) {
                    resolve(found);
                } else if (performance.now() > ends) {
                    reject(new Error(`${find} did not come`));
                } else {
                    requestAnimationFrame(look);
                }
            };
            look();
        });
    const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const requests = (since) =>
        performance.getEntriesByType("resource").filter((entry) => entry.startTime >= since);
"""

NEW_ORDER = f"""
async (member) => {{
    {TOOLS}
    const order = posmodel.addNewOrder();
    posmodel.navigate("ProductScreen", {{ orderUuid: order.uuid }});
    await wait(".product-screen .product");
    if (member) {{
        await posmodel.loyaltyEngineDesk.identify(member, {{ order }});
        await wait(".o_pos_loyalty_engine_name");
    }}
}}
"""

ADD_PRODUCTS = f"""
async (count) => {{
    {TOOLS}
    performance.clearResourceTimings();
    const products = [...document.querySelectorAll(".product-screen .product")];
    const times = [];
    const start = performance.now();
    for (let number = 0; number < count; number++) {{
        const before = posmodel.getOrder().lines.length;
        await drawn();
        const begin = performance.now();
        products[number % products.length].click();
        await wait(
            () =>
                posmodel.getOrder().lines.length > before &&
                document.querySelectorAll(".order-container .orderline").length > before
        );
        await drawn();
        times.push(performance.now() - begin);
    }}
    // A picture is no request of the order's.
    const asked = requests(start).filter((entry) => entry.initiatorType !== "img");
    return {{ milliseconds: times, requests: asked.map((entry) => entry.name) }};
}}
"""

PAY = f"""
(async () => {{
    {TOOLS}
    (await wait(".pay-order-button")).click();
    (await wait(".payment-screen .paymentmethods .paymentmethod")).click();
    await wait(".validation-button.next.highlight");
    await drawn();
}})()
"""

VALIDATE = f"""
(async () => {{
    {TOOLS}
    performance.clearResourceTimings();
    const begin = performance.now();
    (await wait(".validation-button.next.highlight")).click();
    await wait(".receipt-screen");
    await drawn();
    const milliseconds = performance.now() - begin;
    const receiptAt = Date.now();
    return {{ milliseconds, receiptAt, requests: requests(begin).map((entry) => entry.name) }};
}})()
"""

# Where what is held can't be spent: until the cashier reads why, and can go on.
VALIDATE_IN_VAIN = f"""
(async () => {{
    {TOOLS}
    const begin = performance.now();
    (await wait(".validation-button.next.highlight")).click();
    const button = await wait(".modal-dialog .modal-footer .btn");
    await drawn();
    const milliseconds = performance.now() - begin;
    button.click();
    return milliseconds;
}})()
"""

# Sells one product for cash, pressing each button when it is there, and tells when each step was
# done: the product on the order, the payment screen, the receipt. Ends on a new order.
SELL = f"""
(async () => {{
    {TOOLS}
    const times = {{}};
    const timed = async (name, press, next) => {{
        const begin = performance.now();
        press.click();
        await wait(next);
        await drawn();
        times[name] = performance.now() - begin;
    }};
    const begin = performance.now();
    await timed("product", await wait(".product-screen .product"), ".order-container .orderline");
    await timed("payment", await wait(".pay-order-button"), ".payment-screen");
    (await wait(".paymentmethods .paymentmethod")).click();
    await timed("validate", await wait(".validation-button.next.highlight"), ".receipt-screen");
    times.sale = performance.now() - begin;
    (await wait(".receipt-screen .button.next[name='done']")).click();
    await wait(".product-screen .product");
    return times;
}})()
"""


class Till:
    """A till in a page of the browser.

    :param page: an empty one, of a logged-in cashier
    """

    def __init__(self, page, odoo, config_id):
        self._page = page
        self._url = f"{odoo.url}/pos/ui/{config_id}"
        page.run_first(WATCH_START)

    def start(self):
        """Open the till; :return: dict of milliseconds until products are shown, and of requests
        and bytes until then"""
        self._page.open("about:blank")
        self._page.wait_for("!window.benchReady", "the page was empty")
        self._page.open(self._url)
        self._page.wait_for("window.benchReady", "the till showed products", START_LIMIT)
        return self._page.value(WHAT_WAS_LOADED)

    def wait_for_pictures(self):
        """Return when the pictures of the products are there, which come after the start."""
        self._page.wait_for(
            "[...document.images].every((image) => image.complete)", "all pictures came"
        )

    def scripts(self):
        """Bytes of the page's script, unpacked: what the start has loaded, and what came later.

        :return: pair of numbers
        """
        return self._page.value(SCRIPTS)

    def scan(self, code, name):
        """Scan a member's code; :return: milliseconds from the scan to the member's name"""
        self._page.value(f"({SCAN})({json.dumps(code)}, {json.dumps(name)})")
        return self._page.wait_for(
            "window.benchScanned.milliseconds", f"{name} was shown", SCAN_LIMIT
        )

    def show(self):
        """Bring the till to the front: a page that nobody sees draws nothing."""
        self._page.call("Page.bringToFront")

    def new_order(self, member_id=None):
        """Begin an order, with a member where there is one."""
        self._page.value(f"({NEW_ORDER})({json.dumps(member_id)})")

    def add_products(self, count):
        """Add products one by one.

        :return: (milliseconds of each, until it is drawn; milliseconds that the page was busy with
            each, on average; addresses of the requests meanwhile)
        """
        before = self._page.busy()
        found = self._page.value(f"({ADD_PRODUCTS})({count})")
        busy = (self._page.busy() - before) * 1000 / count
        return found["milliseconds"], busy, found["requests"]

    def hold_voucher(self, code):
        """Put a voucher on the order."""
        status = self._page.value(
            "posmodel.loyaltyEngineRedemptionDesk.addVoucher(posmodel.getOrder(),"
            f" {{ code: {json.dumps(code)} }}).then(({{ status }}) => status)"
        )
        if status != "held":
            raise BenchError(f"The voucher could not be held: {status}")

    def pay(self):
        """Go to the payment screen, and choose the first payment method."""
        self._page.value(PAY)

    def validate(self):
        """Press Validate; :return: dict of milliseconds until the receipt is there, ``receiptAt``
        (since 1970) and the requests meanwhile"""
        return self._page.value(VALIDATE)

    def validate_in_vain(self):
        """Press Validate where the spend can't succeed; :return: milliseconds until the cashier
        reads why"""
        return self._page.value(VALIDATE_IN_VAIN)

    def sell(self):
        """Sell one product for cash; :return: dict of milliseconds for "product", "payment",
        "validate" (until the receipt is there) and for the whole "sale" """
        return self._page.value(SELL)
