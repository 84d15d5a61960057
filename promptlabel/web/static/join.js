// Gives the reviewer a name, on the page that an invitation opens and in the menu of the review page, and makes
// addresses for others.

for (const form of document.querySelectorAll("form.join")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { name: form.elements.name.value, token: form.dataset.token ?? "" };
    const answer = await post("/join", body);
    if (answer.ok) location.assign("/");
    else form.querySelector(".error").textContent = (await answer.json()).error;
  });
}

for (const form of document.querySelectorAll("form.invite")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await post("/invite", { name: form.elements.name.value });
    const said = await answer.json();
    form.querySelector(".error").textContent = said.error ?? "";
    form.querySelector(".made").replaceChildren(...(said.address ? [address(said.address)] : []));
  });
}

function address(text) {
  return Object.assign(document.createElement("code"), { className: "address", textContent: text });
}

function post(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
