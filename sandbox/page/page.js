const REFRESH_MS = 1000;
const TIMEOUT_MS = 5000;

const QUICK_FAULTS = [
    ["Slow: 5 s", { kind: "latency", seconds: 5 }],
    ["Down", { kind: "down" }],
    ["Half of it fails", { kind: "error", status: 503, rate: 0.5 }],
    ["Busy: 429", { kind: "throttle" }],
    [
        "Next sale is lost on the way",
        { kind: "drop_before", method: "POST", path: "/events", times: 1 },
    ],
    [
        "Next sale's answer is lost",
        { kind: "drop_after", method: "POST", path: "/events", times: 1 },
    ],
    [
        "Next burn's answer is lost",
        {
            kind: "drop_after",
            path: "/commands/validate_voucher",
            body: '"allowFutureValidation":false',
            times: 1,
        },
    ],
];

const byId = (id) => document.getElementById(id);

const state = { known: false, newest: 0, open: new Set(), shown: "" };

/** An element with attributes and children; texts are never read as HTML. */
function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        node[name] = value;
    }
    node.append(...children.filter((child) => child !== null));
    return node;
}

async function call(method, path, body) {
    const response = await fetch(`/_sandbox/${path}`, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.json();
    if (!response.ok) {
        throw new Error(answer.message);
    }
    return answer;
}

function amount(points) {
    return points.toLocaleString("en");
}

function plural(count, word) {
    return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** What a member has, each with its code to copy; what is gone is struck through. */
function showVouchers({ vouchers }) {
    return element(
        "ul",
        { className: "vouchers" },
        ...vouchers.map((voucher) =>
            element(
                "li",
                { className: ["burned", "expired"].includes(voucher.state) ? "over" : "" },
                element("span", {}, voucher.name),
                voucher.state === "usable"
                    ? null
                    : element("span", { className: "chip" }, voucher.state),
                element("code", { title: "Code" }, voucher.code)
            )
        )
    );
}

function showMembers({ members, memberCount }) {
    const more = memberCount > members.length ? `, the first ${members.length} shown` : "";
    byId("member-count").textContent = `${memberCount.toLocaleString("en")}${more}`;
    byId("members").replaceChildren(
        ...members.map((member) =>
            element(
                "li",
                {},
                element(
                    "div",
                    { className: "row" },
                    element(
                        "span",
                        {},
                        element("b", {}, `${member.givenName} ${member.familyName}`),
                        element("span", { className: `chip ${member.tier}` }, member.tier),
                        member.restricted
                            ? element("span", { className: "chip restricted" }, "restricted")
                            : null
                    ),
                    element(
                        "span",
                        { className: member.points < 0 ? "points minus" : "points" },
                        `${amount(member.points)} pts`
                    )
                ),
                element(
                    "div",
                    { className: "codes" },
                    element(
                        "code",
                        { className: "scan", title: "Account number: scan or type it" },
                        member.accountNumber
                    ),
                    element("code", { title: "Engine id" }, member.id),
                    member.authIdentifier
                        ? element("code", { title: "Auth identifier" }, member.authIdentifier)
                        : null
                ),
                member.vouchers.length ? showVouchers(member) : null
            )
        )
    );
}

function pointsOf(event) {
    if (event.points !== null) {
        return `${event.points >= 0 ? "+" : ""}${amount(event.points)} pts`;
    }
    if (event.memberId === null) {
        return "no member";
    }
    return event.reactedAt === null ? "waits…" : "no points";
}

function showEvent(event, fresh) {
    const payload = event.payload;
    const total =
        typeof payload.total === "number" ? ` ${payload.total} ${payload.currency || ""}` : "";
    const who = event.subject === null ? "Not a member" : event.memberName;
    const details = element(
        "details",
        { open: state.open.has(event.id) },
        element(
            "summary",
            {},
            new Date(event.reportedAt).toLocaleTimeString(),
            ` · event ${event.id}`
        ),
        element("pre", {}, JSON.stringify(payload, null, 2))
    );
    details.addEventListener("toggle", () =>
        details.open ? state.open.add(event.id) : state.open.delete(event.id)
    );
    return element(
        "li",
        { className: fresh ? "fresh" : "" },
        element(
            "div",
            { className: "row" },
            element("span", {}, element("b", {}, event.type), total),
            element("span", { className: event.points > 0 ? "earned" : "soft" }, pointsOf(event))
        ),
        element(
            "div",
            { className: "codes" },
            who ? element("span", {}, who) : null,
            event.subject === null ? null : element("code", { title: "Subject" }, event.subject)
        ),
        details
    );
}

function showEvents({ events, eventCount, waiting }) {
    byId("event-count").textContent = eventCount
        ? plural(eventCount, "event") + (waiting ? `, ${waiting} waiting for points` : "")
        : "";
    byId("no-events").hidden = events.length > 0;
    byId("events").replaceChildren(
        ...events.map((event) => showEvent(event, state.known && event.id > state.newest))
    );
    state.newest = events.length ? events[0].id : 0;
    state.known = true;
}

function describeRule(rule) {
    const parts = [rule.kind.replaceAll("_", " ")];
    if (rule.kind === "latency" || rule.kind === "late") {
        parts.push(`${rule.seconds} s`);
    } else if (rule.kind === "error" || rule.kind === "refuse") {
        parts.push(String(rule.status), rule.done ? "after doing it" : "");
    } else if (rule.kind === "unreadable") {
        parts.push(rule.form);
    }
    if (rule.rate < 1) {
        parts.push(`${Math.round(rule.rate * 100)} %`);
    }
    parts.push(rule.method || "", rule.path || "", rule.body || "");
    parts.push(rule.skip ? `after ${rule.skip}` : "");
    const times =
        rule.times === null ? plural(rule.fired, "time") : `${rule.fired} of ${rule.times}`;
    return `${parts.filter(Boolean).join(" · ")} (${times} so far)`;
}

function showRules({ faults }) {
    byId("rules").replaceChildren(
        ...faults.map((rule) => {
            const remove = element("button", { type: "button" }, "Off");
            remove.addEventListener("click", () => change("DELETE", `faults/${rule.id}`));
            const over = rule.times !== null && rule.fired >= rule.times;
            return element("li", { className: over ? "over" : "" }, describeRule(rule), remove);
        })
    );
}

function showList(id, entries, nothing) {
    const rows = Object.entries(entries).flatMap(([name, value]) => [
        element("dt", {}, name),
        element("dd", {}, element("code", {}, String(value))),
    ]);
    byId(id).replaceChildren(...(rows.length ? rows : [element("dd", {}, nothing)]));
}

function showKinds({ faultKinds, faultForms }) {
    if (byId("kind").options.length) {
        return;
    }
    byId("kind").append(
        ...Object.keys(faultKinds).map((kind) =>
            element("option", { value: kind }, kind.replaceAll("_", " "))
        )
    );
    byId("form").append(...faultForms.map((form) => element("option", {}, form)));
    const showKind = () => {
        const kind = byId("kind").value;
        byId("kind-help").textContent = faultKinds[kind];
        for (const label of document.querySelectorAll("[data-kinds]")) {
            label.hidden = !label.dataset.kinds.split(" ").includes(kind);
        }
    };
    byId("kind").addEventListener("change", showKind);
    showKind();
}

async function refresh() {
    const pulse = byId("pulse");
    let data;
    try {
        data = await call("GET", `state?search=${encodeURIComponent(byId("search").value)}`);
    } catch {
        pulse.textContent = "The sandbox does not answer";
        pulse.className = "trouble";
        return;
    }
    pulse.textContent = data.faults.length
        ? `Running, ${plural(data.faults.length, "fault")} set`
        : "Running";
    pulse.className = "";
    const shown = JSON.stringify(data);
    if (shown === state.shown) {
        return;
    }
    state.shown = shown;
    showKinds(data);
    showMembers(data);
    showEvents(data);
    showRules(data);
    showList("access", data.access, "");
    showList("options", data.options, "All are at their default.");
}

async function change(method, path, body) {
    const problem = byId("fault-error");
    problem.textContent = "";
    try {
        await call(method, path, body);
    } catch (error) {
        problem.textContent = error.message;
    }
    await refresh();
}

function readStatus(form) {
    const status = form.status.value ? { status: Number(form.status.value) } : {};
    return { ...status, done: form.done.checked };
}

function readForm(form) {
    const fault = { kind: form.kind.value, rate: Number(form.rate.value || 100) / 100 };
    const own = {
        latency: () => ({ seconds: Number(form.seconds.value) }),
        late: () => ({ seconds: Number(form.seconds.value) }),
        error: () => readStatus(form),
        refuse: () => readStatus(form),
        unreadable: () => ({ form: form.form.value }),
    }[fault.kind];
    Object.assign(fault, own ? own() : {});
    for (const name of ["method", "path", "body"]) {
        if (form[name].value) {
            fault[name] = form[name].value;
        }
    }
    if (form.times.value) {
        fault.times = Number(form.times.value);
    }
    return fault;
}

async function poll() {
    if (!document.hidden) {
        await refresh();
    }
    setTimeout(poll, REFRESH_MS);
}

byId("quick").append(
    ...QUICK_FAULTS.map(([text, fault]) => {
        const button = element("button", { type: "button" }, text);
        button.addEventListener("click", () => change("POST", "faults", fault));
        return button;
    })
);
byId("clear").addEventListener("click", () => change("DELETE", "faults"));
byId("search").addEventListener("input", refresh);
byId("fault").addEventListener("submit", (ev) => {
    ev.preventDefault();
    const fields = ev.target.elements;
    change("POST", "faults", readForm(fields));
});
poll();
