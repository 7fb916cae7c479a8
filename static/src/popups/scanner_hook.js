import { useEffect } from "@odoo/owl";
import { useService } from "@web/core/utils/hooks";

/**
 * While a dialog is open every scan is meant for it, whatever its type. With the cursor in a field the
 * scanner simply types there.
 *
 * @param {(code: string) => void} onScan what it returns is waited for before the next scan
 */
export function useEveryScan(onScan) {
    const barcodeReader = useService("barcode_reader");
    const take = (parsed) => onScan(Array.isArray(parsed) ? parsed[0].base_code : parsed.code);
    useEffect(
        () => barcodeReader?.register(new Proxy({}, { get: () => take }), true),
        () => []
    );
}
