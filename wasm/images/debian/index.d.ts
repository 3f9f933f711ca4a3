/** Image `debian` of BoxRun's local boxes, for `local: { images: [debian] }`. */
declare const image: {
  /** Name of the image. */
  readonly name: "debian";
  /** URL of the folder of its files. */
  readonly assets: string;
};
export default image;
