import { toRaw } from "@odoo/owl";

/**
 * `isLoyaltyEngineDiscount` of a line, for who asks it of all of them each time that lines are listed.
 * It never changes: not by way of the reactive record and its remembered getters, which is slow.
 */
export const isDiscountLine = (line) => Boolean(toRaw(line).loyalty_engine_redemption);

/** Lines of an order, with the discounts below what they are on. */
export const discountsLast = (lines) =>
    lines.some(isDiscountLine)
        ? [...lines.filter((line) => !isDiscountLine(line)), ...lines.filter(isDiscountLine)]
        : lines;

const PAYING = new Set(["gift_card", "ewallet"]);

/** Whether a reward of pos_loyalty's pays what is left, and is no discount. */
export const isPaying = (reward) => PAYING.has(reward?.program_id?.program_type);
