// Requests to the engine; everything that goes wrong comes back as a Failure.

import { authorization, session } from './address.js';
import { engineGone, engineSlow, full, refused, sessionUnknown, tokenWrong, tooLarge } from './failures.js';

const PATIENCE_MS = 4000;

/**
 * @typedef {object} Request
 * @property {string} [method]
 * @property {BodyInit} [body]
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {number} [patienceMs]  how long to wait for the answer
 * @property {boolean} [keepalive]  outlive the page
 */

/**
 * Ask, and return the response when it is a success. Throws `Failure`.
 *
 * @param {string} path
 * @param {Request} [request]
 * @returns {Promise<Response>}
 */
export async function ask(path, request = {}) {
  const { method = 'GET', body, headers = {}, signal, patienceMs = PATIENCE_MS, keepalive = false } = request;
  const patience = AbortSignal.timeout(patienceMs);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      body: body ?? null,
      keepalive,
      cache: 'no-store',
      headers: { ...authorization(), ...headers },
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (patience.aborted) throw engineSlow();
    throw engineGone();
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/**
 * The failure that a response tells of (RFC 9457 problem details, where it holds them).
 *
 * @param {Response} response
 */
async function problem(response) {
  let type = '';
  let title = '';
  let detail = '';
  try {
    ({ type = '', title = '', detail = '' } = await response.json());
  } catch {
    // not JSON: the status has to do
  }
  if (response.status === 401) return tokenWrong();
  if (type.endsWith(':unknown-session')) return sessionUnknown(session);
  if (type.endsWith(':full')) return full(detail);
  if (type.endsWith(':too-large')) return tooLarge(detail);
  return refused(response.status, title, detail);
}

/**
 * Make sure that the session exists; opens it when it does not. Throws `Failure` ("full" and why).
 *
 * @param {AbortSignal} signal
 */
export async function ensureSession(signal) {
  const status = await (await ask('/api/status', { signal })).json();
  const known = /** @type {{name: string}[]} */ (status.sessions ?? []);
  if (known.some(({ name }) => name === session)) return;
  await ask('/api/sessions', {
    method: 'POST',
    body: JSON.stringify({ name: session }),
    headers: { 'Content-Type': 'application/json' },
    signal,
  });
}
