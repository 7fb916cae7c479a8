import { Component, onMounted, status, useRef, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { registry } from "@web/core/registry";
import { inWords } from "@pos_loyalty_engine/app/utils/member_words";
import { useEveryScan } from "@pos_loyalty_engine/popups/scanner_hook";

// Milliseconds between two characters: a scanner that types is quicker, nobody's fingers are.
const SCANNER_PACE = 50;

/** One field for a member's code, typed or scanned. */
export class MemberPopup extends Component {
    static template = "pos_loyalty_engine.MemberPopup";
    static components = { Dialog };
    static props = {
        // (code, "scan" | "typed") => Promise of an answer of LoyaltyEngineService.identify
        identify: Function,
        // (answer, code) => void: say elsewhere what this popup can't say any more
        tell: Function,
        close: Function,
    };

    setup() {
        this.state = useState({ code: "", words: "", isBusy: false });
        this.inputRef = useRef("input");
        onMounted(() => this.inputRef.el.focus());
        // When the last characters were typed that came as quickly as a scanner's (ms)
        this.quickly = [];
        // With the cursor in the field the scanner types there: then its pace tells.
        useEveryScan((code) => this.onScan(code));
    }

    onScan(code) {
        this.state.code = code;
        // Not returned: the barcode reader waits for what a handler returns.
        this.confirm("scan");
    }

    onKeydown(ev) {
        if (ev.key === "Enter") {
            ev.preventDefault();
            this.confirm();
        } else if (ev.key?.length === 1) {
            const isQuick = ev.timeStamp - this.quickly.at(-1) <= SCANNER_PACE;
            this.quickly = [...(isQuick ? this.quickly : []), ev.timeStamp];
        }
    }

    /** Whether a scanner has typed what is in the field, all of it. */
    get isScanned() {
        return this.quickly.length > 2 && this.quickly.length === this.state.code.length;
    }

    async confirm(presented = this.isScanned ? "scan" : "typed") {
        const code = this.state.code.trim();
        if (!code || this.state.isBusy) {
            return;
        }
        Object.assign(this.state, { isBusy: true, words: "" });
        const answer = await this.props.identify(code, presented);
        const isOpen = status(this) === "mounted";
        if (["found", "superseded"].includes(answer.status)) {
            return isOpen && this.props.close();
        }
        if (isOpen && ["unknown", "ambiguous", "restricted"].includes(answer.status)) {
            Object.assign(this.state, { isBusy: false, words: inWords(answer, code) });
            this.inputRef.el.focus();
            this.inputRef.el.select();
            return;
        }
        this.props.tell(answer, code);
        return isOpen && this.props.close();
    }
}

registry.category("lazy_components").add("MemberPopup", MemberPopup);
