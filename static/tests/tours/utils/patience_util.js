/**
 * The steps of a tour, nested as it suits, each with the time that a busy machine may take for it:
 * by itself Odoo gives up after 10 seconds.
 */
export function patient(steps) {
    return steps.flat(Infinity).map((step) => ({ timeout: 45000, ...step }));
}
