// Requests to our own server: JSON out, JSON in, the CSRF token of the page's <meta name="csrf-token">.

export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

/** Leave this page by posting a form with `fields` to `url`. */
export function postForm(url, fields) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: url });
  for (const [name, value] of Object.entries({ csrfmiddlewaretoken: csrfToken(), ...fields })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
}

/**
 * POST `data` as JSON. Resolves to {ok, status, body}: `body` is the parsed answer, or null if there was none.
 * Rejects only when the server could not be reached at all.
 */
export async function postJson(url, data, { signal, keepalive = false } = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(data),
    credentials: "same-origin",
    signal,
    keepalive,
  });
  const isJson = response.headers.get("Content-Type")?.includes("json");
  return { ok: response.ok, status: response.status, body: isJson ? await response.json() : null };
}
